FROM configured
USER root
