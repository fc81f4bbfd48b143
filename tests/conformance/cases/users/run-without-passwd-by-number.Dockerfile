FROM bare
USER 5
RUN id -u; true
