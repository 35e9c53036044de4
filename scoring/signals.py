"""The project's only signal: one arrow of the loop points downstream, from scoring to cases.

`predictions_recorded` is sent after the commit, with `predictions`: a list of saved Prediction
rows that need a human (their decision is not APPROVE).
"""

from django.dispatch import Signal

predictions_recorded = Signal()
