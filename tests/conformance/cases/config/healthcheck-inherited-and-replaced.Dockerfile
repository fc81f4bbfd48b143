FROM configured
HEALTHCHECK --timeout=1s CMD new
