FROM debian
ARG USERNAME=vscode
ARG USER_UID=1000
ARG USER_GID=$USER_UID
RUN groupadd --gid $USER_GID $USERNAME \
    && useradd --uid $USER_UID --gid $USER_GID -m -s /bin/bash $USERNAME \
    && mkdir -p /etc/sudoers.d \
    && echo "$USERNAME ALL=(root) NOPASSWD:ALL" > /etc/sudoers.d/$USERNAME \
    && chmod 0440 /etc/sudoers.d/$USERNAME \
    && sed -i "s/^\($USERNAME:[^:]*\):[0-9]*:/\1:1:/" /etc/shadow && rm -f /etc/*- /var/log/{lastlog,faillog}
USER $USERNAME
WORKDIR /workspaces/project
RUN id > ~/id && touch here && mkdir -p ~/.config && echo 'export A="$B"' >> ~/.bashrc
COPY --chown=$USERNAME:$USERNAME <<EOF /home/$USERNAME/.gitconfig
[user]
	name = $USERNAME
EOF
ENV HOME=/home/$USERNAME EDITOR=vi
USER root
RUN echo done > /done
USER ${USER_UID}:${USER_GID}
ENTRYPOINT ["/bin/bash", "-l"]
