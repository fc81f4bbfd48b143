#: file start.sh #!/bin/bash\nexec "$@"\n
#: file fix-permissions #!/bin/bash\nchmod -R g+rwX "$@"\n
FROM busybox
ARG NB_USER="jovyan"
ARG NB_UID="1000"
ARG NB_GID="100"
SHELL ["/bin/sh", "-eu", "-c"]
USER root
ENV CONDA_DIR=/opt/conda NB_USER="${NB_USER}" NB_UID=${NB_UID} NB_GID=${NB_GID}
ENV PATH="${CONDA_DIR}/bin:${PATH}" HOME="/home/${NB_USER}"
COPY --chmod=0755 fix-permissions start.sh /usr/local/bin/
RUN echo "root:x:0:0::/root:/bin/sh" > /etc/passwd && echo "${NB_USER}:x:${NB_UID}:${NB_GID}::${HOME}:/bin/sh" >> /etc/passwd && echo "users:x:${NB_GID}:" > /etc/group && \
    mkdir -p "${CONDA_DIR}" "${HOME}" && chown "${NB_USER}:${NB_GID}" "${CONDA_DIR}" "${HOME}" && chmod g+s "${CONDA_DIR}"
USER ${NB_UID}
RUN mkdir "${HOME}/work" && touch "${CONDA_DIR}/pinned"
WORKDIR /tmp
RUN id > "${HOME}/id"
USER root
COPY --chown=${NB_UID}:${NB_GID} start.sh ${HOME}/work/
WORKDIR "${HOME}"
USER ${NB_USER}
RUN whoami > me && stat -c %U:%G work me > owners
CMD ["start.sh"]
