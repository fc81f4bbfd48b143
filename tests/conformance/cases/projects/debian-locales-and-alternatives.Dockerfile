FROM debian
RUN set -eux; \
	update-alternatives --install /usr/bin/pager-x pager-x /bin/more 5; \
	echo 'Etc/UTC' > /etc/timezone; ln -snf /usr/share/zoneinfo/Etc/UTC /etc/localtime; \
	dpkg-divert --local --rename --add /etc/motd-x; \
	rm -rf /var/log/* /var/lib/apt/lists/*; \
	find /var/cache -type f -delete; \
	rm -f /var/lib/dpkg/*-old
