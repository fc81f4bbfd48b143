FROM busybox
SHELL ["/bin/sh", "-exc"]
RUN echo x > /out
CMD cmd form
ENTRYPOINT entry form
HEALTHCHECK CMD check form
