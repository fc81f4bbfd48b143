FROM merged
RUN --mount=target=/abs/m ls /real/m > /out
