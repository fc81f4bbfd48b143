FROM configured
USER 0
ENTRYPOINT ["/bin/false"]
RUN echo x > /out
