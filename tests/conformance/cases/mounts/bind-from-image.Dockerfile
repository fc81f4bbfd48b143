FROM busybox
RUN --mount=from=other,source=/opt/other,target=/o cat /o > /out
