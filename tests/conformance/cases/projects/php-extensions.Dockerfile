#: file composer.json {}\n
#: file public/index.php <?php\n
FROM busybox AS php
ENV PHPIZE_DEPS="autoconf file g++" PHP_INI_DIR=/usr/local/etc/php
RUN mkdir -p $PHP_INI_DIR/conf.d
COPY <<"EOF" $PHP_INI_DIR/conf.d/opcache.ini
opcache.enable=1
; $PHP_INI_DIR is not expanded here
EOF
COPY <<EOF $PHP_INI_DIR/php.ini
extension_dir = "$PHP_INI_DIR/ext"
memory_limit = ${MEMORY:-128M}
EOF
RUN <<-EOT sh -e
	for e in pdo_mysql intl zip; do
		echo "extension=$e" > "$PHP_INI_DIR/conf.d/docker-php-ext-$e.ini"
	done
EOT
FROM php AS vendor
WORKDIR /app
COPY composer.* ./
RUN mkdir -p vendor/autoload && touch vendor/autoload.php
FROM php
WORKDIR /var/www/html
COPY --from=vendor /app/vendor ./vendor
COPY --exclude=composer.* . .
RUN chown -R 33:33 . && find . -type d -exec chmod 2775 {} +
EXPOSE 9000
STOPSIGNAL SIGQUIT
CMD ["php-fpm"]
