# One image, every process: `rec web` (the default), `rec worker`, `rec archiver`, `rec trainer`,
# `alembic upgrade head`.
# Without a GPU, name an index of CPU builds of torch to make it 4 GB smaller: --build-arg PIP_EXTRA_INDEX_URL=…
FROM python:3.11-slim AS build
ARG PIP_EXTRA_INDEX_URL=""
ENV PIP_EXTRA_INDEX_URL=$PIP_EXTRA_INDEX_URL PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/shunxi
ENV PATH=/opt/shunxi/bin:$PATH
WORKDIR /source
# The dependencies first: this layer stays as long as these two files do.
COPY pyproject.toml constraints.txt README.md ./
RUN mkdir rec agents web migrations && pip install -c constraints.txt '.[server]' && pip uninstall -y shunxi
COPY rec rec
COPY agents agents
COPY web web
COPY migrations migrations
RUN pip install --no-deps .

FROM python:3.11-slim
RUN useradd --create-home --uid 10001 shunxi && install -d -o shunxi /data /models
COPY --from=build /opt/shunxi /opt/shunxi
WORKDIR /app
COPY alembic.ini ./
COPY migrations migrations
ENV PATH=/opt/shunxi/bin:$PATH PYTHONUNBUFFERED=1 REC_HOST=0.0.0.0 REC_PORT=8080 REC_DATA_DIR=/data
USER shunxi
VOLUME /data /models
EXPOSE 8080
CMD ["rec", "web"]
