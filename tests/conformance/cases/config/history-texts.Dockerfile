#: context copy
FROM busybox
LABEL a=1
ENV A=1 B="x y"
EXPOSE 80
VOLUME /v
WORKDIR /w
USER 0
STOPSIGNAL 9
SHELL ["/bin/sh", "-c"]
HEALTHCHECK --interval=5s CMD x
MAINTAINER me
ENTRYPOINT ["e", "f"]
CMD c d
RUN echo   spaced   out
RUN ["echo", "exec"]
COPY --chown=1:2 --chmod=700 a.txt b.txt /w/
COPY ["a.txt", "/w/x"]
ADD a.txt /added
ONBUILD RUN x
