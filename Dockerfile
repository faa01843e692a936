# The image of gpu-sessions: the program and what it needs at run time, and nothing else.
# `make image` builds it with buildah; `docker build .` builds the same.

# Debian 12 slim of 2026-08-03, its index of all architectures. Only the build happens on it.
ARG BASE=docker.io/library/debian:bookworm-slim@sha256:abd67ffcfa541b485a3dff59865ab629aa048a6c613e639d36e7456b0b229241

# On the builder's own architecture: the compiler crosses over to the target's.
FROM --platform=$BUILDPLATFORM ${BASE} AS build
ARG TARGETARCH
WORKDIR /src
COPY scripts/setup.sh scripts/setup.sh
RUN scripts/setup.sh "build-$TARGETARCH"
COPY LICENSE meson.build meson_options.txt ./
COPY completions completions
COPY deploy/systemd deploy/systemd
COPY docs/gpu-sessions.1 docs/
COPY scripts/cross scripts/cross
COPY scripts/embed.py scripts/
COPY sim sim
COPY src src
COPY deploy/image deploy/image
RUN deploy/image/make-root.sh "$TARGETARCH" /image

# Only when asked for, --target check: the unit tests.
FROM build AS check
ARG TARGETARCH
RUN scripts/setup.sh "check-$TARGETARCH"
COPY tests tests
RUN deploy/image/check.sh "$TARGETARCH"

FROM scratch
COPY --from=build /image /
# Version, revision and time come from scripts/image.sh: they differ from build to build.
LABEL org.opencontainers.image.title="gpu-sessions" \
      org.opencontainers.image.description="Who is using each GPU and MIG device of this node, since when, how much" \
      org.opencontainers.image.licenses="Apache-2.0"
# NVIDIA's container runtime puts the driver's library in for containers that say so.
ENV NVIDIA_VISIBLE_DEVICES=all NVIDIA_DRIVER_CAPABILITIES=utility
# In digits, so that the kubelet can see that it is not root.
USER 65532:65532
EXPOSE 10105
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/bin/gpu-sessions"]
