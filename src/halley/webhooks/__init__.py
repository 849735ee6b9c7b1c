"""What callers asked to be told: an outbox, written with the change that it tells of and emptied by the worker."""

from halley.webhooks.model import Backlog, Delivery, DeliveryFilter, DeliveryState, NewDelivery, Waiting
from halley.webhooks.rules import Places, Verdict, next_attempt, verdict

__all__ = [
    "Backlog",
    "Delivery",
    "DeliveryFilter",
    "DeliveryState",
    "NewDelivery",
    "Places",
    "Verdict",
    "Waiting",
    "next_attempt",
    "verdict",
]
