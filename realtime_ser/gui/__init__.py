"""The dashboard: a window that shows what the engine emits, and decides nothing itself.

The window talks to one :class:`~realtime_ser.gui.controller.DashboardController`, pulls from it by timer, and feeds what it
gets to view-models (:mod:`realtime_ser.gui.models`), which hold no Qt; panels draw the view-models. Qt and pyqtgraph are
imported in one place, :mod:`realtime_ser.gui.qt`.
"""
