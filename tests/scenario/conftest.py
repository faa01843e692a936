"""A Kubernetes API for the tests that ask one."""

import pytest

import kube_server


@pytest.fixture(scope="session")
def certificates(tmp_path_factory):
    return kube_server.make_certificates(tmp_path_factory.mktemp("certificates"))


@pytest.fixture
def kube(certificates, tmp_path):
    with kube_server.running(certificates, tmp_path) as server:
        yield server
