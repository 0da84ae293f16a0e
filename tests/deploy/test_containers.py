"""What can be checked of Dockerfile, compose file and Kubernetes manifests without running them."""

import re
from pathlib import Path
from typing import Any

import yaml

from core.settings import PREFIX, Settings
from handlers.routes import ROUTES

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
KNOWN = {PREFIX + name.upper() for name in Settings.model_fields}
PATHS = {path for path, _ in ROUTES}


def manifests() -> dict[str, dict[str, Any]]:
    """By kind and name."""
    found = yaml.safe_load_all((DEPLOY / "kubernetes/kaimen.yaml").read_text())
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in found}


def compose() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((DEPLOY / "docker/compose.yaml").read_text())
    return loaded


def test_every_setting_they_give_exists() -> None:
    given = set(manifests()["ConfigMap/kaimen"]["data"]) | set(compose()["services"]["kaimen"]["environment"])
    given |= set(re.findall(r"\bKAIMEN_[A-Z_]+(?==)", (DEPLOY / "docker/Dockerfile").read_text()))
    assert {name.removesuffix("_FILE") for name in given} <= KNOWN
    assert {f"{PREFIX}{name}_FILE" for name in ("DATABASE_URL", "REDIS_URL", "MASTER_KEYS", "APPS")} <= given


def test_every_probe_asks_a_path_that_exists() -> None:
    (container,) = manifests()["Deployment/kaimen"]["spec"]["template"]["spec"]["containers"]
    probes = [container[name]["httpGet"] for name in ("startupProbe", "readinessProbe", "livenessProbe")]
    assert {probe["path"] for probe in probes} <= PATHS
    assert {probe["port"] for probe in probes} <= {port["name"] for port in container["ports"]}
    assert "/readyz" in (DEPLOY / "docker/Dockerfile").read_text()


def test_pods_are_replaced_without_a_gap_and_have_time_to_finish() -> None:
    spec = manifests()["Deployment/kaimen"]["spec"]
    assert spec["strategy"]["rollingUpdate"]["maxUnavailable"] == 0
    assert spec["template"]["spec"]["terminationGracePeriodSeconds"] > 5 + 20 + 2
    assert manifests()["PodDisruptionBudget/kaimen"]["spec"]["minAvailable"] >= 1


def test_the_parts_refer_to_each_other() -> None:
    found = manifests()
    labels = found["Deployment/kaimen"]["spec"]["template"]["metadata"]["labels"]
    selectors = [
        found["Service/kaimen"]["spec"]["selector"],
        found["Deployment/kaimen"]["spec"]["selector"]["matchLabels"],
        found["PodDisruptionBudget/kaimen"]["spec"]["selector"]["matchLabels"],
    ]
    assert all(selector == labels for selector in selectors)
    for kind in ("Deployment/kaimen", "Job/kaimen-migrate"):
        pod = found[kind]["spec"]["template"]["spec"]
        volumes = {volume["name"] for volume in pod["volumes"]}
        for container in pod["containers"]:
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes
            assert container["securityContext"]["readOnlyRootFilesystem"] is True
        assert pod["securityContext"]["runAsNonRoot"] is True


def test_what_the_compose_file_needs_is_in_it() -> None:
    services, secrets, volumes = compose()["services"], compose()["secrets"], compose()["volumes"]
    for service in services.values():
        assert set(service.get("secrets", [])) <= set(secrets)
        assert {volume.split(":")[0] for volume in service["volumes"]} <= set(volumes)
    assert set(services["kaimen"]["depends_on"]) <= set(services)
    assert services["kaimen"]["ports"] == ["127.0.0.1:8000:8000"]
    said = (DEPLOY / "docker/compose.yaml").read_text().split("name: kaimen")[0]
    assert all(name in said for name in secrets)


def test_what_the_dockerfile_copies_is_there_and_no_secret_is_copied() -> None:
    text = (DEPLOY / "docker/Dockerfile").read_text()
    copied = [word for line in re.findall(r"^COPY (?!--from)(.*) \S+$", text, re.MULTILINE) for word in line.split()]
    assert all((ROOT / name).exists() for name in copied)
    ignored = (ROOT / ".dockerignore").read_text().split()
    assert {".git", ".venv", "var", "deploy/docker/secrets"} <= set(ignored)
    assert re.search(r"^USER 10001$", text, re.MULTILINE)
