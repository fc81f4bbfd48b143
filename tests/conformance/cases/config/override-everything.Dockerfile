FROM configured
USER 12:34
WORKDIR sub
ENTRYPOINT ["e"]
CMD ["c"]
ENV BASE=two EMPTY=full NEW=n
LABEL over=mine
EXPOSE 81/udp
VOLUME /more
STOPSIGNAL 9
SHELL ["/bin/ash", "-c"]
HEALTHCHECK NONE
