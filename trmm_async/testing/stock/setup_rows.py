"""The stock server's settings as they are at first, and what it tells its dashboard.

Below: nothing. Above: `setup.py`. Literal, as recorded; secrets are made up.
"""

from __future__ import annotations

__all__ = ["CORE_SETTINGS", "DASHBOARD", "INSTALLED", "MON_TOKEN"]

MON_TOKEN = "simulated-mon-token"  # noqa: S105 - of no real server
"""The token of the monitoring endpoint, which takes no API key."""

INSTALLED = "2026-01-02T03:04:05.678901Z"

CORE_SETTINGS: dict[str, object] = {
    "id": 1,
    "all_timezones": ["America/New_York", "Asia/Jakarta", "Europe/Berlin", "UTC"],
    "created_by": None,
    "created_time": INSTALLED,
    "modified_by": None,
    "modified_time": INSTALLED,
    "email_alert_recipients": [],
    "sms_alert_recipients": [],
    "twilio_number": None,
    "twilio_account_sid": None,
    "twilio_auth_token": None,
    "smtp_from_email": "from@example.com",
    "smtp_from_name": None,
    "smtp_host": "smtp.example.com",
    "smtp_host_user": "admin@example.com",
    "smtp_host_password": "changeme",
    "smtp_port": 587,
    "smtp_requires_auth": True,
    "default_time_zone": "America/New_York",
    "check_history_prune_days": 30,
    "resolved_alerts_prune_days": 0,
    "agent_history_prune_days": 60,
    "debug_log_prune_days": 30,
    "audit_log_prune_days": 0,
    "report_history_prune_days": 0,
    "agent_debug_level": "info",
    "clear_faults_days": 0,
    "mesh_token": "simulated",
    "mesh_username": "meshuser",
    "mesh_site": "https://mesh.example.com",
    "mesh_device_group": "TacticalRMM",
    "mesh_company_name": "My MSP Inc.",
    "sync_mesh_with_trmm": True,
    "agent_auto_update": True,
    "date_format": "MMM-DD-YYYY - HH:mm",
    "open_ai_token": None,
    "open_ai_model": "gpt-3.5-turbo",
    "enable_server_scripts": True,
    "enable_server_webterminal": False,
    "notify_on_info_alerts": False,
    "notify_on_warning_alerts": True,
    "block_local_user_logon": False,
    "sso_enabled": False,
    "default_shell_windows": "cmd",
    "default_shell_windows_custom": "",
    "default_shell_linux": "bash",
    "default_shell_linux_custom": "",
    "default_shell_darwin": "bash",
    "default_shell_darwin_custom": "",
    "terminal_mode": "new",
    "workstation_policy": None,
    "server_policy": None,
    "alert_template": None,
}

DASHBOARD: dict[str, object] = {
    "trmm_version": "1.5.1",
    "latest_trmm_ver": "error",
    "dark_mode": True,
    "show_community_scripts": True,
    "dbl_click_action": "editagent",
    "default_agent_tbl_tab": "mixed",
    "url_action": None,
    "client_tree_sort": "alphafail",
    "client_tree_splitter": 11,
    "loading_bar_color": "red",
    "clear_search_when_switching": True,
    "hosted": False,
    "date_format": None,
    "default_date_format": "MMM-DD-YYYY - HH:mm",
    "token_is_expired": False,
    "open_ai_integration_enabled": False,
    "dash_info_color": "info",
    "dash_positive_color": "positive",
    "dash_negative_color": "negative",
    "dash_warning_color": "warning",
    "run_cmd_placeholder_text": {"cmd": "dir", "powershell": "Get-ChildItem", "shell": "ls"},
    "server_scripts_enabled": True,
    "web_terminal_enabled": False,
    "block_local_user_logon": False,
    "sso_enabled": False,
}
