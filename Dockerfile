# Three images: docker build --target api .   (or worker, or worker-gpu)
#
# Debian, because ONNX Runtime and sharp need glibc. Base images are pinned by digest: an update of
# Debian comes with a new digest (renovate.json).
FROM node:24.21.0-trixie-slim@sha256:8ec5d7557396cfe32d21c3f9c13072355ceab22b584578ca4bb28af31120cffe AS node
WORKDIR /app

# Only the files that npm reads: this layer is rebuilt when dependencies change, not when code does.
FROM node AS manifests
COPY .npmrc package.json package-lock.json ./
COPY packages/capture/package.json packages/capture/
COPY packages/core/package.json packages/core/
COPY packages/testing/package.json packages/testing/
COPY apps/api/package.json apps/api/
COPY apps/worker/package.json apps/worker/

FROM manifests AS build
RUN npm ci --no-audit --no-fund
COPY tsconfig.json tsconfig.base.json ./
COPY models models
COPY packages packages
COPY apps apps
COPY tools tools
# A page of the gateway shows it.
COPY docs/how-to/runbook.md docs/how-to/
# Downloads the models of the profile, verifies their hashes (models/catalogue.json) and writes them to
# .data/models.
ARG LIVEGATE_PROFILE=default
ARG LIVEGATE_MODELS_MIRROR
RUN npm run models -- use "$LIVEGATE_PROFILE"
# A new volume gets the owner of the folder it is mounted over: `credentials` in docker-compose.yml.
RUN mkdir -p .data/etc/livegate

FROM manifests AS api-dependencies
RUN npm ci --no-audit --no-fund --omit=dev --workspace=@livegate/api
# npm installs TypeScript because it is an optional peer dependency of a bull-board dependency.
RUN rm -r node_modules/typescript node_modules/@typescript

FROM manifests AS worker-dependencies
RUN npm ci --no-audit --no-fund --omit=dev --workspace=@livegate/worker
# onnxruntime-node ships 245 MB of libraries for other systems and processors.
RUN find node_modules/onnxruntime-node/bin -mindepth 3 -maxdepth 3 \
      ! -path "*/linux/$(node -p process.arch)" -exec rm -r {} +

FROM worker-dependencies AS worker-gpu-dependencies
# Downloads the CUDA provider of the same version from nuget.org, for x64 only. The script exits with 0
# if it finds none; `ls` fails the build then.
RUN ONNXRUNTIME_NODE_INSTALL=cuda12 node node_modules/onnxruntime-node/script/install.js \
    && ls node_modules/onnxruntime-node/bin/*/linux/x64/libonnxruntime_providers_cuda.so

# Node is process 1 in all three images, without an init such as tini: it handles SIGTERM and ends its
# own child processes. Layers are ordered from rarely to often changed.
FROM node AS api
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="livegate-api" \
      org.opencontainers.image.description="Livegate's gateway: passive liveness over HTTP" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production LIVEGATE_HOST=0.0.0.0 PORT=8080
COPY --from=api-dependencies /app ./
COPY --from=build --chown=10001:10001 /app/.data/etc /etc
COPY LICENSE NOTICE tools/probe.mjs ./
COPY --from=build /app/packages/core/dist packages/core/dist
COPY --from=build /app/apps/api/dist apps/api/dist
USER 10001:10001
EXPOSE 8080 9464
# /livez, not /readyz: an unreachable Redis must not make an orchestrator restart the container.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s \
  CMD node probe.mjs "http://127.0.0.1:$PORT/livez"
CMD ["node", "apps/api/dist/bundle/main.js"]

FROM node AS worker
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="livegate-worker" \
      org.opencontainers.image.description="Livegate's worker: checks images on CPUs" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT"
# UV_THREADPOOL_SIZE: libuv threads that decode images. MALLOC_ARENA_MAX: fewer glibc arenas, so that
# less freed memory stays with the process.
ENV NODE_ENV=production LIVEGATE_HOST=0.0.0.0 LIVEGATE_WORKER_HEALTH_PORT=9465 \
    LIVEGATE_MODELS_DIR=/app/models UV_THREADPOOL_SIZE=4 MALLOC_ARENA_MAX=2
COPY --from=worker-dependencies /app ./
COPY --from=build /app/.data/models models
COPY LICENSE NOTICE tools/probe.mjs ./
COPY --from=build /app/packages/core/dist packages/core/dist
COPY --from=build /app/apps/worker/dist apps/worker/dist
USER 10001:10001
EXPOSE 9464 9465
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s \
  CMD node probe.mjs "http://127.0.0.1:$LIVEGATE_WORKER_HEALTH_PORT/livez"
CMD ["node", "apps/worker/dist/bundle/main.js"]

# CUDA 12 and cuDNN 9 for ONNX Runtime. Ubuntu 24.04's glibc runs the Node binary built for Debian.
FROM nvidia/cuda:12.9.1-cudnn-runtime-ubuntu24.04@sha256:d02c4310b6d57ca0b16cd80298bdb33a74187baafe2eccd8a6a16180ddc90802 AS worker-gpu
WORKDIR /app
ARG VERSION=0.1.0
LABEL org.opencontainers.image.title="livegate-worker-gpu" \
      org.opencontainers.image.description="Livegate's worker: checks images on an NVIDIA GPU" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.licenses="MIT"
ENV NODE_ENV=production LIVEGATE_HOST=0.0.0.0 LIVEGATE_WORKER_HEALTH_PORT=9465 \
    LIVEGATE_MODELS_DIR=/app/models UV_THREADPOOL_SIZE=4 MALLOC_ARENA_MAX=2 \
    LIVEGATE_EXECUTION_PROVIDER=cuda
COPY --from=node /usr/local/bin/node /usr/local/bin/
COPY --from=worker-gpu-dependencies /app ./
# Fails if the provider was built for another CUDA than this image has: only the driver is missing.
RUN ! ldd node_modules/onnxruntime-node/bin/*/linux/x64/libonnxruntime_providers_cuda.so \
      | grep 'not found' | grep -v 'libcuda\.so'
COPY --from=build /app/.data/models models
COPY LICENSE NOTICE tools/probe.mjs ./
COPY --from=build /app/packages/core/dist packages/core/dist
COPY --from=build /app/apps/worker/dist apps/worker/dist
USER 10001:10001
EXPOSE 9464 9465
HEALTHCHECK --interval=10s --timeout=5s --start-period=180s \
  CMD node probe.mjs "http://127.0.0.1:$LIVEGATE_WORKER_HEALTH_PORT/livez"
# NVIDIA's entry point would print a banner into the log.
ENTRYPOINT []
CMD ["node", "apps/worker/dist/bundle/main.js"]
