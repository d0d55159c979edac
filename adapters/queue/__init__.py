"""The job queue: records, leases, events and dispatch on Redis, and the workers that run jobs. Its door is JobQueue."""

from adapters.queue.embedded import EmbeddedRedis
from adapters.queue.events import Page
from adapters.queue.janitor import Janitor
from adapters.queue.queue import JobQueue
from adapters.queue.supervisor import WorkerSupervisor
from adapters.queue.workers import WorkerInfo

__all__ = ["EmbeddedRedis", "Janitor", "JobQueue", "Page", "WorkerInfo", "WorkerSupervisor"]
