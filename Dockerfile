# syntax=docker/dockerfile:1
# The operator's image. Whatever is installed comes from the locks, by hash.
#
#   docker build --tag edgeplan:0.1.0 .
#
# BASE may be any image with Python 3.11, its venv module and certificates; a release pins it by digest.
ARG BASE=python:3.11-slim-bookworm

FROM ${BASE} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PYTHONDONTWRITEBYTECODE=1
# The tools that make the wheel stay in this stage.
COPY requirements-build.lock requirements.lock /src/
RUN python3 -m venv /build \
 && /build/bin/pip install --require-hashes --only-binary=:all: -r /src/requirements-build.lock \
 && python3 -m venv /opt/edgeplan \
 && /opt/edgeplan/bin/pip install --require-hashes --only-binary=:all: --no-compile -r /src/requirements.lock
COPY pyproject.toml README.md LICENSE /src/
COPY controller /src/controller
# The time of the last commit: the same source gives the same files.
ARG SOURCE_DATE_EPOCH=0
RUN /build/bin/pip wheel --no-deps --no-build-isolation --no-index --wheel-dir /wheels /src \
 && /opt/edgeplan/bin/pip install --no-deps --no-index --no-compile /wheels/*.whl \
 && /opt/edgeplan/bin/pip uninstall --yes --quiet pip setuptools \
 && PYTHONHASHSEED=0 python3 -m compileall -q -f --invalidation-mode unchecked-hash /opt/edgeplan \
 && find /opt/edgeplan -exec touch --no-dereference --date="@${SOURCE_DATE_EPOCH}" {} +

FROM ${BASE}
ARG VERSION=0.0.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="edgeplan" \
      org.opencontainers.image.description="Kubernetes operator for AWS SageMaker edge deployment plans" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
COPY --from=build /opt/edgeplan /opt/edgeplan
ENV PATH=/opt/edgeplan/bin:/usr/local/bin:/usr/bin:/bin PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
# A number: Kubernetes cannot tell by a name that it is not root's.
USER 65532:65532
ENTRYPOINT ["edgeplan"]
