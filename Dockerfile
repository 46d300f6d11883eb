# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /src
RUN python -m venv /opt/blackboard
ENV PATH=/opt/blackboard/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
COPY pyproject.toml README.md LICENSE CHANGELOG.md ./
COPY blackboard blackboard
COPY knowledge_sources knowledge_sources
COPY controller controller
RUN pip install '.[otlp]'

FROM python:3.11-slim
RUN useradd --system --uid 10001 --create-home --home-dir /home/blackboard blackboard \
    && install -d -o blackboard -g blackboard /data
COPY --from=build /opt/blackboard /opt/blackboard
ENV PATH=/opt/blackboard/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    BLACKBOARD_DATA_DIR=/data \
    BLACKBOARD_HOST=0.0.0.0 \
    BLACKBOARD_LOG_FORMAT=json
USER blackboard
WORKDIR /data
VOLUME /data
EXPOSE 8000
# The server must answer and be fit, the blob folder writable, the sources importable.
HEALTHCHECK --interval=30s --timeout=20s --start-period=20s --retries=3 CMD ["blackboard", "doctor", "--quiet"]
# Draining takes up to BLACKBOARD_DRAIN_S: give the container at least that long to stop.
STOPSIGNAL SIGTERM
ENTRYPOINT ["blackboard"]
CMD ["up"]
