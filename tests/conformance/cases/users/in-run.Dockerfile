FROM users
USER alice
RUN (id; id -u; id -g; echo $HOME; pwd; touch /tmp/f; ls -ln /tmp/f | cut -c1-30) > /tmp/out
