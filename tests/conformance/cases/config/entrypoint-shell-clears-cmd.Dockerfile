FROM configured
ENTRYPOINT run it
