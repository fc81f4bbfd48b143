FROM scratch
ENV PATH=/only
