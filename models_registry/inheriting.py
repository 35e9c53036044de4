"""A version with the model of another one is documented by what is known of that model."""

from models_registry.models import ModelVersion
from models_registry.registry_models import Artefact, Lineage
from models_registry.selectors import lineage_of


def inherit_documents(made: ModelVersion, base: ModelVersion) -> None:
    """Write down for `made` the lineage and the explanation of `base`, whose model it has.

    How each subgroup fares depends on the thresholds and is not taken over. Of a base from before
    lineages were kept only the parent is known.
    """
    known = lineage_of(base)
    Lineage.objects.create(
        version=made,
        parent=base,
        origin=known.origin if known else Lineage.Origin.TRAINED,
        code=known.code if known else {},
        origin_detail=known.origin_detail if known else {},
        explanation_fault=known.explanation_fault if known else "",
    )
    for artefact in Artefact.objects.filter(version=base, kind=Artefact.Kind.EXPLANATION):
        Artefact.objects.create(
            version=made,
            kind=artefact.kind,
            digest=artefact.digest,
            size=artefact.size,
            detail=artefact.detail,
        )
