"""Sends events to a collector from Python, each until it is answered."""

from anmodel.client.report import SendReport
from anmodel.client.sending import CollectorClient, SendOptions

__all__ = ["CollectorClient", "SendOptions", "SendReport"]
