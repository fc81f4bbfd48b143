#: file html/index.html <h1>hi</h1>\n
#: file html/css/a.css a\n
#: file templates/default.conf.template server { listen ${PORT}; }\n
FROM busybox
ENV NGINX_VERSION=1.25.3 NGINX_ENVSUBST_OUTPUT_DIR=/etc/nginx/conf.d
RUN set -x \
# a user of its own
    && mkdir -p /etc && echo nginx:x:101: >> /etc/group \
    && echo nginx:x:101:101:nginx:/var/cache/nginx:/sbin/nologin >> /etc/passwd \
    && mkdir -p /var/log/nginx /var/cache/nginx/client_temp /etc/nginx/conf.d /docker-entrypoint.d \
    && ln -sf /dev/stdout /var/log/nginx/access.log \
    && ln -sf /dev/stderr /var/log/nginx/error.log \
    && chown -R nginx:nginx /var/cache/nginx
COPY --chmod=755 <<'ENTRY' /docker-entrypoint.sh
#!/bin/sh
# ${NOT_EXPANDED}
exec "$@"
ENTRY
COPY <<NGINX <<-MIME /etc/nginx/
worker_processes  auto;
# built for ${NGINX_VERSION}; \$remote_addr
events { worker_connections 1024; }
NGINX
	types { text/html html; }
	MIME
COPY templates /etc/nginx/templates
COPY --chown=nginx:nginx html/ /usr/share/nginx/html/
VOLUME ["/var/cache/nginx", "/usr/share/nginx/html"]
EXPOSE 80 443
STOPSIGNAL SIGQUIT
ENTRYPOINT ["/docker-entrypoint.sh"]
CMD ["nginx", "-g", "daemon off;"]
