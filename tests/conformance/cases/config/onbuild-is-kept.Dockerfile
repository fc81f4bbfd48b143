FROM busybox
ONBUILD RUN echo x
ONBUILD COPY   a   /b
onbuild env A=1
ONBUILD CMD ["x"]
