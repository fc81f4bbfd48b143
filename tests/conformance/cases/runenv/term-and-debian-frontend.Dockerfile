FROM debian
RUN echo "[$TERM][$DEBIAN_FRONTEND][$HOSTNAME]" > /out
