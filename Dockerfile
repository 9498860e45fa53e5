# syntax=docker/dockerfile:1
# Headwater as an image: `docker build -t headwater .`; docs/how-to/deploy.md says how it is run.
#
#   build     everything pinned by hash into a virtual environment; kernels compiled
#   (last)    the environment, a user that is not root, and nothing that could build anything
#
# For a build that is the same tomorrow, give the base by its digest, which is what your registry says it is today:
#   docker build --build-arg PYTHON=python:3.12-slim-bookworm@sha256:... .
ARG PYTHON=python:3.12-slim-bookworm

# hadolint ignore=DL3006
FROM ${PYTHON} AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_NO_CACHE_DIR=1 \
    PIP_ONLY_BINARY=:all: \
    PIP_REQUIRE_VIRTUALENV=1 \
    SOURCE_DATE_EPOCH=1767225600
WORKDIR /build

COPY requirements/image.lock requirements/build.lock requirements/
RUN python -m venv /opt/headwater \
 && /opt/headwater/bin/python -m pip install --require-hashes -r requirements/image.lock \
 && python -m venv /opt/tools \
 && /opt/tools/bin/python -m pip install --require-hashes -r requirements/build.lock

COPY pyproject.toml README.md LICENSE ./
COPY src src
RUN /opt/tools/bin/python -m pip wheel --no-deps --no-build-isolation --no-index --wheel-dir dist . \
 && /opt/headwater/bin/python -m pip install --no-deps --no-index dist/*.whl

# The kernels, for any x86-64 with AVX2, or any arm64: not for the machine that happens to build. The bits are the same
# on all, for fast-math is off.
ENV NUMBA_CACHE_DIR=/opt/headwater/kernels \
    NUMBA_CPU_NAME=generic
RUN NUMBA_CPU_FEATURES="$(/opt/headwater/bin/python -c 'import platform as p; print("+avx2,+avx,+sse4.2,+popcnt" if p.machine() == "x86_64" else "+neon")')" \
    && export NUMBA_CPU_FEATURES \
    && printf '%s' "$NUMBA_CPU_FEATURES" > /opt/headwater/cpu-features \
    && /opt/headwater/bin/python -c 'import headwater.engine.run, headwater.models.scorer' \
    && /opt/headwater/bin/python -m pip uninstall --yes pip \
    && find /opt/headwater/lib -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
    && rm -rf /opt/headwater/lib/python*/site-packages/pyarrow/include

COPY --chmod=755 deploy/image/start /opt/headwater/bin/start


# hadolint ignore=DL3006
FROM ${PYTHON}
LABEL org.opencontainers.image.title="Headwater" \
      org.opencontainers.image.description="Events in, decisions out: always fresh, always explained, replayable bit for bit." \
      org.opencontainers.image.licenses="Apache-2.0"

# Where it writes: the data folder, a volume; and /tmp, which may be a tmpfs. The root may be read-only.
ENV PATH=/opt/headwater/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    HEADWATER_HOME=/data \
    HEADWATER_PROJECT=/project/project.py \
    NUMBA_CACHE_DIR=/tmp/headwater-kernels \
    NUMBA_CPU_NAME=generic \
    MPLCONFIGDIR=/tmp \
    HOME=/tmp
RUN groupadd --gid 10001 headwater \
 && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /tmp --shell /usr/sbin/nologin headwater \
 && install --directory --owner=10001 --group=10001 --mode=0750 /data /project
COPY --from=build /opt/headwater /opt/headwater

USER 10001:10001
WORKDIR /project
VOLUME /data
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=120s --retries=3 \
  CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:' + os.environ.get('HEADWATER_PORT', '8000') + '/healthz', timeout=4)"]
ENTRYPOINT ["start"]
CMD ["serve", "--host", "0.0.0.0"]
