FROM no-config
