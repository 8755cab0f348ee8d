"""The ledger of claims: statements as data, each with a check, its scope and negative controls.

Modules named ``check_...`` hold the checks, the others the statements.
"""

from looprate.experiments.claims.bounds import BOUNDS_CLAIMS
from looprate.experiments.claims.certificates import CERTIFICATE_CLAIMS
from looprate.experiments.claims.claim import REJECTED, Claim
from looprate.experiments.claims.construction import CONSTRUCTION_CLAIMS
from looprate.experiments.claims.eta import ETA_CLAIMS
from looprate.experiments.claims.exponents import EXPONENT_CLAIMS
from looprate.experiments.claims.moduli import MODULI_CLAIMS
from looprate.experiments.claims.reported import REPORTED_CLAIMS
from looprate.experiments.claims.trained import TRAINED_CLAIMS
from looprate.experiments.claims.worst_case import WORST_CASE_CLAIMS

__all__ = ["CLAIMS", "REJECTED", "Claim"]

THEMES: dict[str, tuple[Claim, ...]] = {
    "Moduli of continuity": MODULI_CLAIMS,
    "Formulas, and what Theorem 3.6 says where": BOUNDS_CLAIMS,
    "The proof as weights": CONSTRUCTION_CLAIMS,
    "Certified errors": CERTIFICATE_CLAIMS,
    "What no number of loops can do": WORST_CASE_CLAIMS,
    "What the constructions attain": EXPONENT_CLAIMS,
    "When eta(t) helps": ETA_CLAIMS,
    "Trained networks": TRAINED_CLAIMS,
    "What is reported of the paper's experiments": REPORTED_CLAIMS,
}
CLAIMS: dict[str, Claim] = {claim.id: claim for claims in THEMES.values() for claim in claims}
