# syntax=docker/dockerfile:1
FROM python:3.11-slim AS build
WORKDIR /opt/holdfast
COPY requirements.lock ./
# uv comes by pip, pinned and hashed by its lines of the lock, as in the Makefile.
RUN python -m venv .venv \
 && awk '/^[^ #]/ {on = /^uv==/} on' requirements.lock > uv.lock \
 && .venv/bin/pip install -q --no-cache-dir --require-hashes -r uv.lock \
 && VIRTUAL_ENV=/opt/holdfast/.venv .venv/bin/uv pip sync -q --no-cache --compile-bytecode --require-hashes requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY app app
COPY holdfast holdfast
COPY migrations migrations
RUN VIRTUAL_ENV=/opt/holdfast/.venv .venv/bin/uv pip install -q --no-cache --no-deps --no-build-isolation -e .

FROM python:3.11-slim
RUN apt-get update -qq \
 && apt-get install -y -qq --no-install-recommends libgomp1 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --create-home holdfast \
 && install -d -o holdfast -g holdfast /data
COPY --from=build /opt/holdfast /opt/holdfast
ARG COMMIT=
ENV PATH=/opt/holdfast/.venv/bin:$PATH \
    HOLDFAST_COMMIT=$COMMIT \
    HOLDFAST_HOST=0.0.0.0 \
    HOLDFAST_HOME=/data
USER holdfast
WORKDIR /data
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=6 \
  CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/readyz', timeout=4)"]
ENTRYPOINT ["holdfast"]
CMD ["serve"]
