"""Declared exchange rates: added to, never changed, so that an order can be told from later."""

from django.conf import settings
from django.db import models
from django.db.models import Q

from cases.exchange import LEAST


class ExchangeRate(models.Model):
    """One unit of `currency` is worth `rate` of `to`, until another rate replaced it.

    The highest id in force is the version of all rates: with it and `replaced_at` those of any
    moment can be told.
    """

    currency = models.CharField(max_length=3)
    rate = models.DecimalField(max_digits=15, decimal_places=9)
    to = models.CharField("common currency", max_length=3)
    set_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.PROTECT, null=True, db_index=False, related_name="+"
    )
    set_at = models.DateTimeField()
    replaced_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ("currency", "-id")
        constraints = (
            models.UniqueConstraint(
                fields=("currency",),
                condition=Q(replaced_at=None),
                name="one_rate_in_force_per_currency",
            ),
            models.CheckConstraint(condition=Q(rate__gte=LEAST), name="rate_is_positive"),
            models.CheckConstraint(
                condition=~Q(currency=models.F("to")), name="common_currency_has_no_rate"
            ),
        )

    def __str__(self) -> str:
        return f"{self.currency} to {self.to}"
