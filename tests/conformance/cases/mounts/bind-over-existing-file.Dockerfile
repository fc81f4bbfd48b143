FROM busybox
RUN echo below > /f
RUN --mount=source=a.txt,target=/f cat /f > /out
