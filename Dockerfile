# Two images: `docker build --target serve .` answers requests and holds no torch, `--target worker .` runs the jobs.
# Both run as uid 10001 on a read-only root; all state is below /data, scratch files below /tmp.

# ---- build: one virtual environment a target, at the path where it will stay -----------------------------------------
FROM python:3.11-slim AS serve-build
# An index of your own: --build-arg PIP_INDEX_URL=…; empty values are ignored by pip.
ARG PIP_INDEX_URL=""
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /src
RUN python -m venv /opt/zoo
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY zoo zoo/
COPY adapters adapters/
COPY api api/
RUN --mount=type=cache,target=/root/.cache/pip /opt/zoo/bin/pip install --no-compile -c constraints.txt .
# Bytecode of what serving imports and of nothing else: 13 MB instead of 51, and as quick a start.
RUN /opt/zoo/bin/python -c "import api.cli, api.commands.serve, api.serving"

FROM serve-build AS worker-build
# constraints.txt pins torch. An index of CPU builds in PIP_EXTRA_INDEX_URL saves gigabytes: pip prefers X+cpu to X.
RUN --mount=type=cache,target=/root/.cache/pip /opt/zoo/bin/pip install -c constraints.txt '.[train]'

# ---- run -------------------------------------------------------------------------------------------------------------
FROM python:3.11-slim AS runtime
RUN install --directory --owner=10001 --group=10001 --mode=0750 /data
# HOME and USER: the uid has no entry in /etc/passwd, and a cluster may choose another one.
ENV PATH=/opt/zoo/bin:$PATH \
    HOME=/tmp \
    USER=zoo \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PIP_NO_CACHE_DIR=1 \
    ZOO_HOME=/data
VOLUME /data
USER 10001:10001

FROM runtime AS worker
COPY --from=worker-build /opt/zoo /opt/zoo
# Checkpoints of a model hub are unpacked here: too large for a /tmp in memory.
ENV HF_HOME=/data/hub-cache
# The worker touches this file every two seconds, busy or idle.
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, time; assert time.time() - os.stat('/data/jobs/worker-alive').st_mtime < 30"]
ENTRYPOINT ["zoo", "worker"]

# The last stage, so that a build without --target makes the small image.
FROM runtime AS serve
COPY --from=serve-build /opt/zoo /opt/zoo
ENV ZOO_HOST=0.0.0.0 ZOO_PORT=8000
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen('http://127.0.0.1:%s/livez' % os.environ['ZOO_PORT'])"]
ENTRYPOINT ["zoo", "serve"]
