#: file debian/control Source: x\n
#: file debian/rules #!/usr/bin/make -f\n
#: args VERSION=2:1.0~rc1-1+deb12u1
FROM debian AS build
SHELL ["/bin/bash", "-o", "pipefail", "-c"]
ARG VERSION
ENV DEBIAN_FRONTEND=noninteractive LANG=C.UTF-8
WORKDIR /build/pkg
COPY debian DEBIAN
RUN chmod 755 DEBIAN && rm DEBIAN/rules && printf 'Package: x\nVersion: %s\nArchitecture: all\nMaintainer: a <a@b>\nDescription: x\n' "$VERSION" > DEBIAN/control
RUN mkdir -p usr/share/x && echo "${VERSION#*:}" > usr/share/x/version && echo "${VERSION//[:~+]/_}" >> usr/share/x/version
RUN dpkg-deb --root-owner-group -b . /build/x.deb && dpkg-deb -x /build/x.deb /out
FROM scratch AS tree
COPY --from=build /out /
FROM scratch
COPY --from=tree / /
LABEL version=${VERSION:-unset}
