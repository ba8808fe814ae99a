"""Dagster's processes for one project: start them, stop them, and find their instance."""

from dagbook.services.instance import instance_home, open_instance, prepare_instance
from dagbook.services.record import Services
from dagbook.services.running import find_services, reload_services
from dagbook.services.start import Started, start_services
from dagbook.services.stop import Stopped, stop_services

__all__ = [
    "Services",
    "Started",
    "Stopped",
    "find_services",
    "instance_home",
    "open_instance",
    "prepare_instance",
    "reload_services",
    "start_services",
    "stop_services",
]
