#: args VARIANT=slim PYTHON=3.12
#: target final-slim
ARG PYTHON=3.11
ARG VARIANT=full
ARG BASE=${VARIANT:+busybox}
FROM ${BASE:-other} AS base
ARG PYTHON
ARG VARIANT
ENV PYTHON_MAJOR=${PYTHON%%.*} PYTHON_MINOR=${PYTHON#*.}
RUN echo "$PYTHON_MAJOR $PYTHON_MINOR $VARIANT" > /version
FROM base AS full
RUN echo full > /kind
FROM base AS slim
RUN echo slim > /kind
FROM ${VARIANT} AS selected
ARG PYTHON
LABEL python=$PYTHON
FROM selected AS final-full
RUN false
FROM selected AS final-slim
ARG VARIANT
CMD ["python", "${VARIANT}"]
