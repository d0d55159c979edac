"""Rollouts of an alias: begin or change one, look at it, promote its canary, or go back."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from starlette.requests import Request

from api import json_body
from api.openapi import answers, takes
from api.rollout_object import rollout_object
from api.routes.dependencies import ServicesDep
from api.schemas import RolloutRequest
from api.services import Services, in_thread
from zoo.catalogue.alias import check_alias
from zoo.catalogue.plan import Plan, start
from zoo.errors import ModelNotFound

router = APIRouter(tags=["Models"])
ADDRESS = "/v1/models/{name}/aliases/{alias}/rollout"
_EXAMPLE = {
    "object": "rollout",
    "model": "tickets",
    "alias": "live",
    "version": 1,
    "status": "running",
    "canary": 2,
    "weight": 10,
    "sides": {"stable": {"version": 1, "requests": 900}, "canary": {"version": 2, "requests": 100}},
}


@router.put(
    ADDRESS,
    operation_id="set_rollout",
    summary="Let a canary answer a part of an alias's requests, mirror them to a shadow, or both.",
    openapi_extra=takes(RolloutRequest),
    responses=answers(_EXAMPLE, "The rollout, with warnings about what differs between the versions."),
)
async def set_rollout(name: str, alias: str, request: Request, services: ServicesDep) -> JSONResponse:
    body, _ = await json_body.read(request, RolloutRequest)
    plan = Plan(canary=body.canary, weight=body.weight, shadow=body.shadow, rule=body.rule)
    return JSONResponse(await in_thread(_started, name, alias, plan, services))


@router.get(
    ADDRESS,
    operation_id="retrieve_rollout",
    summary="How a rollout stands, in numbers for each side, or how the last one ended and why.",
    responses=answers(_EXAMPLE, "The rollout."),
)
async def retrieve_rollout(name: str, alias: str, services: ServicesDep) -> JSONResponse:
    return JSONResponse(await in_thread(_seen, name, alias, services))


@router.post(
    ADDRESS + "/promote",
    operation_id="promote_canary",
    summary="Let the alias mean its canary; the rollout ends.",
    responses=answers(_EXAMPLE | {"status": "promoted", "version": 2}, "The rollout that has ended."),
)
async def promote_canary(name: str, alias: str, services: ServicesDep) -> JSONResponse:
    found = await in_thread(services.rollouts.promote, name, alias)
    return JSONResponse(rollout_object(name, alias, found, services.rollouts))


@router.delete(
    ADDRESS,
    operation_id="roll_back",
    summary="End a rollout: the stable version answers everything again.",
    responses=answers(_EXAMPLE | {"status": "rolled_back"}, "The rollout that has ended."),
)
async def roll_back(name: str, alias: str, services: ServicesDep) -> JSONResponse:
    found = await in_thread(services.rollouts.roll_back, name, alias)
    return JSONResponse(rollout_object(name, alias, found, services.rollouts))


def _started(name: str, alias: str, plan: Plan, services: Services) -> dict[str, Any]:
    there = services.store.versions(name)
    for version in {plan.canary, plan.shadow} & set(there):
        services.loader.check(f"{name}@{version}")
    found, warnings = start(services.store, name, alias, plan)
    return rollout_object(name, alias, found, services.rollouts, warnings=warnings)


def _seen(name: str, alias: str, services: Services) -> dict[str, Any]:
    check_alias(alias)
    table = services.store.alias_table(name)
    if alias not in table:
        services.registry.resolve(f"{name}@{alias}")
        raise ModelNotFound(f"{name} has no alias {alias}.")
    return rollout_object(name, alias, table[alias], services.rollouts)
