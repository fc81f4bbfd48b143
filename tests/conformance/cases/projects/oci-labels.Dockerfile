#: args BUILD_DATE=2024-01-02T03:04:05Z VCS_REF=0123abc VERSION=1.2.3-rc.1+build.5
#: label extra=1
#: annotation org.opencontainers.image.authors=me
FROM busybox
ARG BUILD_DATE VCS_REF VERSION
ARG MAJOR=${VERSION%%.*} WITHOUT_META=${VERSION%+*}
LABEL maintainer="Me <me@example.org>" \
      org.opencontainers.image.created="$BUILD_DATE" \
      org.opencontainers.image.revision=$VCS_REF \
      org.opencontainers.image.version='$VERSION' \
      org.opencontainers.image.description="A \"quoted\" \
text over lines" \
      major=$MAJOR meta=${VERSION#*+} plain="${WITHOUT_META}" \
      "with space"="a b" com.example.json='{"a": ["b", 1]}'
LABEL org.label-schema.schema-version 1.0
