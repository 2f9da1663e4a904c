# syntax=docker/dockerfile:1
# The images of the operator and of the Edge Manager service. Whatever is installed comes from the locks, by hash.
#
#   docker build --tag edgeplan:0.1.0 .
#   docker build --tag edge-manager:0.1.0 --target edge-manager .
#
# BASE may be any image with Python 3.11, its venv module and certificates; a release pins it by digest.
ARG BASE=python:3.11-slim-bookworm

# The tools that make the wheels stay in this stage.
FROM ${BASE} AS tools
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
COPY requirements-build.lock /src/
RUN python3 -m venv /build \
 && /build/bin/pip install --require-hashes --only-binary=:all: -r /src/requirements-build.lock

FROM tools AS edge-manager-build
COPY requirements-service.lock /src/
RUN python3 -m venv /opt/edge-manager \
 && /opt/edge-manager/bin/pip install --require-hashes --only-binary=:all: --no-compile \
    -r /src/requirements-service.lock
COPY LICENSE /src/
COPY packaging/edge-manager /src/packaging/edge-manager
COPY edge_manager /src/edge_manager
# The time of the last commit: the same source gives the same files.
ARG SOURCE_DATE_EPOCH=0
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels /src/packaging/edge-manager \
 && /opt/edge-manager/bin/pip install --no-deps --no-index --no-compile /wheels/*.whl \
 && /opt/edge-manager/bin/pip uninstall --yes --quiet pip setuptools \
 && PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/edge-manager \
 && find /opt/edge-manager -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE} AS edge-manager
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="edge-manager" \
      org.opencontainers.image.description="A SageMaker Edge Manager service for your own machines" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=edge-manager-build /opt/edge-manager /opt/edge-manager
ENV PATH=/opt/edge-manager/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A number: Kubernetes cannot tell by a name that it is not root's.
USER 65532:65532
ENTRYPOINT ["edge-manager"]

FROM tools AS edgeplan-build
COPY requirements.lock /src/
RUN python3 -m venv /opt/edgeplan \
 && /opt/edgeplan/bin/pip install --require-hashes --only-binary=:all: --no-compile -r /src/requirements.lock
COPY pyproject.toml README.md LICENSE /src/
COPY controller /src/controller
ARG SOURCE_DATE_EPOCH=0
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels /src \
 && /opt/edgeplan/bin/pip install --no-deps --no-index --no-compile /wheels/*.whl \
 && /opt/edgeplan/bin/pip uninstall --yes --quiet pip setuptools \
 && PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/edgeplan \
 && find /opt/edgeplan -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

# The last target is what is built without --target.
FROM ${BASE} AS edgeplan
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="edgeplan" \
      org.opencontainers.image.description="Kubernetes operator for AWS SageMaker edge deployment plans" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=edgeplan-build /opt/edgeplan /opt/edgeplan
ENV PATH=/opt/edgeplan/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A number, for the same reason.
USER 65532:65532
ENTRYPOINT ["edgeplan"]
