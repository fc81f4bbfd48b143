#: file requirements.txt flask==3.0\ngunicorn\n
#: file app/__init__.py \n
#: file app/main.py print("hi")\n
#: file app/__pycache__/main.pyc x\n
#: file .dockerignore **/__pycache__\n*.pyc\n.venv/\n
FROM busybox AS builder
ENV PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 VIRTUAL_ENV=/opt/venv
ENV PATH="$VIRTUAL_ENV/bin:$PATH"
RUN <<EOF
set -eu
mkdir -p "$VIRTUAL_ENV/bin" "$VIRTUAL_ENV/lib/python3.12/site-packages"
ln -s lib "$VIRTUAL_ENV/lib64"
cat > "$VIRTUAL_ENV/bin/pip" <<'PIP'
#!/bin/sh
while read -r package; do mkdir -p "$VIRTUAL_ENV/lib/python3.12/site-packages/${package%%=*}"; done
PIP
chmod +x "$VIRTUAL_ENV/bin/pip"
EOF
RUN --mount=type=bind,source=requirements.txt,target=/tmp/requirements.txt \
    --mount=type=cache,target=/root/.cache/pip \
    pip install -r /tmp/requirements.txt < /tmp/requirements.txt

FROM busybox
LABEL org.opencontainers.image.title="app" \
      org.opencontainers.image.source="https://example.org/app"
ENV PATH="/opt/venv/bin:$PATH" \
    APP_HOME=/srv/app
COPY --from=builder /opt/venv /opt/venv
WORKDIR $APP_HOME
COPY app/ ./app/
RUN mkdir -p /etc && echo app:x:10001:10001::/:/bin/false >> /etc/passwd && chown -R app "$APP_HOME"
USER 10001
EXPOSE 8000/tcp
ENTRYPOINT ["gunicorn"]
CMD ["-b", "0.0.0.0:8000", "app.main:app"]
