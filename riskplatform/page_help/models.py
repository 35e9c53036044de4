"""Versions, datasets, drift and retraining."""

from riskplatform.page_help.entry import PageHelp

MODELS: dict[str, PageHelp] = {
    "model_list": PageHelp(
        "For each detector: what serves, what is being tried, and whether anything is wrong.",
    ),
    "model_detail": PageHelp(
        "One trained version: is it better than what serves, by how much, and how sure is that?",
        (
            "The champion stands beside it on the same events; intervals say what chance could do.",
            "Promotion takes a comparison and a second person. Rolling back takes one click.",
        ),
    ),
    "model_thresholds": PageHelp(
        "Move the points from which events are reviewed or blocked, and see the cost before.",
        ("Publishing makes a new version of the same model; it is promoted like any other.",),
    ),
    "model_explanation": PageHelp(
        "What the model goes by over many events, not one.",
        ("The longer a bar, the more that feature moved scores, up or down.",),
    ),
    "model_card": PageHelp(
        "What a reader outside should know of a version: data, measures, limits, who approved it.",
    ),
    "model_compare": PageHelp(
        "Two or three versions side by side: numbers, parameters, curves, features."
    ),
    "model_integrity": PageHelp(
        "Whether everything that serving and training rely on is there and unchanged.",
    ),
    "model_import": PageHelp(
        "Bring in a bundle that another installation exported.",
        ("It is checked byte by byte and never promoted by itself.",),
    ),
    "dataset_detail": PageHelp(
        "The rows that a version was trained and judged on, and what was known when.",
    ),
    "drift": PageHelp(
        "Whether what arrives still looks like what the champion was trained on.",
        ("A feature counts as moved when both the size and the certainty of the change say so.",),
    ),
    "retraining": PageHelp(
        "When this detector trains again by itself, and what has to be so before.",
    ),
}
