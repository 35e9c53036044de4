# syntax=docker/dockerfile:1
FROM python:3.11-slim-bookworm AS build
WORKDIR /app
COPY requirements-uv.lock ./
RUN python -m venv /opt/venv && python -m pip install --no-cache-dir --require-hashes -r requirements-uv.lock
COPY requirements.lock ./
COPY requirements-streaming.lock ./
COPY requirements-mlflow.lock ./
# Any value adds MLflow's client; compose gives one where MLFLOW_TRACKING_URI is set.
ARG WITH_MLFLOW=
RUN uv pip install --no-cache --python /opt/venv/bin/python --require-hashes --compile-bytecode -r requirements.lock -r requirements-streaming.lock ${WITH_MLFLOW:+-r requirements-mlflow.lock}
COPY . .
# Settings refuse to start without secrets. These live for this one command, in a stage that is
# thrown away: nothing of them reaches the image.
RUN SECRET_KEY="$(python -c 'import secrets; print(secrets.token_urlsafe(64))')" \
    RISK_PII_KEYS="build:$(python -c 'import base64, secrets; print(base64.b64encode(secrets.token_bytes(32)).decode())')" \
    RISK_VAR_DIR=/tmp/build DATABASE_URL=postgres://build@127.0.0.1/build REDIS_URL=redis://127.0.0.1/0 ALLOWED_HOSTS=localhost \
    /opt/venv/bin/python manage.py collectstatic --noinput

FROM python:3.11-slim-bookworm
# LightGBM's wheel loads the system's OpenMP.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/* \
    && groupadd --gid 10001 risk \
    && useradd --uid 10001 --gid risk --no-create-home --shell /usr/sbin/nologin risk \
    && install --directory --owner risk --group risk /srv/risk /srv/bundles /srv/attachments
COPY --from=build /opt/venv /opt/venv
COPY --from=build /app /app
COPY --from=build --chown=risk:risk /tmp/build/static /srv/risk/static
WORKDIR /app
ENV PATH=/opt/venv/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RISK_VAR_DIR=/srv/risk \
    RISK_BUNDLE_DIR=/srv/bundles \
    RISK_ATTACHMENT_DIR=/srv/attachments
USER risk
EXPOSE 8000
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s --retries=3 \
    CMD ["python", "deploy/healthcheck.py", "web"]
CMD ["python", "-m", "riskplatform.web", "--host", "0.0.0.0", "--port", "8000", "--workers", "2"]
