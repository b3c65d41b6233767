# The server in a container:
#
#   docker build -t signlang-hf .
#   docker run --rm -p 127.0.0.1:8000:8000 --read-only --tmpfs /tmp --cap-drop ALL signlang-hf
#
# or, with limits, Prometheus and Grafana, `docker compose up` (compose.yaml). Settings are environment variables, see .env.example.
#
# The packages are those of constraints.txt, from PyPI; on Linux that torch brings CUDA (several GB). Without a GPU, a third of the size:
#   docker build --build-arg TORCH_INDEX=https://download.pytorch.org/whl/cpu -t signlang-hf .

ARG PYTHON=3.11

FROM python:${PYTHON}-slim-bookworm AS build
ARG EXTRAS=serve,pose,onnx,decoding
ARG TORCH_INDEX=
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_RETRIES=10
WORKDIR /src
RUN python -m venv /opt/signlang
# Packages first: this layer stays while only code changes.
COPY setup.cfg constraints.txt ./
COPY deploy/requirements.py deploy/requirements.py
RUN python deploy/requirements.py "${EXTRAS}" > requirements.txt \
    && /opt/signlang/bin/pip install ${TORCH_INDEX:+--extra-index-url "${TORCH_INDEX}"} -c constraints.txt -r requirements.txt
COPY pyproject.toml README.md LICENSE ./
COPY hub_cards hub_cards
COPY signlang_hf signlang_hf
RUN /opt/signlang/bin/pip install --no-deps -c constraints.txt .

FROM python:${PYTHON}-slim-bookworm
# What OpenCV, which MediaPipe brings, links to. Debian's stable versions move only for security, so they are not pinned.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install -y --no-install-recommends libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --user-group --create-home --shell /usr/sbin/nologin signlang \
    && install -d -o signlang -g signlang /cache
COPY --from=build /opt/signlang /opt/signlang
# /cache is where models of the Hub are kept; everything else may be read-only but /tmp, which uploads pass through.
ENV PATH=/opt/signlang/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 \
    HF_HOME=/cache/huggingface MPLCONFIGDIR=/tmp/matplotlib XDG_CACHE_HOME=/tmp/cache \
    SIGNLANG_HOST=0.0.0.0 SIGNLANG_PORT=8000
USER 10001:10001
WORKDIR /home/signlang
VOLUME /cache
EXPOSE 8000
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=15s --timeout=5s --start-period=120s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request; urllib.request.urlopen('http://127.0.0.1:' + os.environ['SIGNLANG_PORT'] + '/ready', timeout=4)"]
ENTRYPOINT ["signlang"]
CMD ["serve"]
