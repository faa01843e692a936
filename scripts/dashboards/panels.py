"""The kinds of panels that the dashboards are made of, and the frame of a dashboard."""

from dataclasses import dataclass, field

from grafana_foundation_sdk.builders import common, dashboard, prometheus, stat, statetimeline
from grafana_foundation_sdk.builders import table as table_builder
from grafana_foundation_sdk.builders import timeseries
from grafana_foundation_sdk.models import common as look
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models import units
from grafana_foundation_sdk.models.prometheus import PromQueryFormat

import queries

TAG = "gpu-sessions"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
NOT_KNOWN = "n/a"
NONE = "-"
NO_ROW = "None, or not known."

# --- the frame ----------------------------------------------------------------------------


def variable(name, label, series, *matchers):
    """Values of the label NAME of SERIES; everything that may be chosen, unless it is chosen."""
    return (
        dashboard.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({queries.select(series, *matchers)}, {name})")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.NATURAL_ASC)
        .multi(True)
        .include_all(True)
        .all_value(".*")
        .current(model.VariableOption(selected=True, text=["All"], value=["$__all"]))
    )


def variables(one_node):
    """Each one offers what the ones before it leave."""
    collected = "node:gpu_session_last_collect_timestamp_seconds:max"
    info = "session:gpu_process_info:max"
    chosen_namespace = 'namespace=~"$namespace"'
    nodes = variable("node", "Node", collected, 'cluster=~"$cluster"')
    if one_node:
        nodes.multi(False).include_all(False).all_value(None).current(None)
    return [
        dashboard.DatasourceVariable("datasource").label("Data source").type("prometheus"),
        variable("cluster", "Cluster", collected),
        nodes,
        variable("gpu", "Device", "device:gpu_device_info:max", queries.NODE),
        variable("namespace", "Namespace", info, queries.DEVICE),
        variable("user", "User", info, queries.DEVICE, chosen_namespace),
    ]


def make(uid, title, description, panels, one_node=False):
    """A whole dashboard; PANELS lie from left to right, then below."""
    made = (
        dashboard.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([TAG])
        .readonly()
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .time("now-6h", "now")
        .timezone("")
        .refresh("1m")
        .variables(variables(one_node))
        .link(
            dashboard.DashboardLink("GPU sessions")
            .type(model.DashboardLinkType.DASHBOARDS)
            .tags([TAG])
            .include_vars(True)
            .keep_time(True)
        )
    )
    for number, panel in enumerate(panels, 1):
        made.with_panel(panel.id(number))
    return made.build()


def link(uid, title, **variables):
    """A link of a cell to another dashboard; variable="Column"."""
    named = "".join(
        f"&var-{name}=${{__data.fields.{column}:percentencode}}"
        for name, column in variables.items()
    )
    return {
        "title": title,
        "url": f"/d/{uid}?${{datasource:queryparam}}&${{cluster:queryparam}}{named}"
        "&${__url_time_range}",
    }


def to_user(**variables):
    return link("gpu-sessions-users", "Sessions of this user or namespace", **variables)


def to_node(**variables):
    return link("gpu-sessions-node", "This node in detail", **variables)


# --- panels -------------------------------------------------------------------------------


def start(builder, title, description, width, height, unit):
    return (
        builder.title(title)
        .description(description)
        .datasource(DATASOURCE)
        .span(width)
        .height(height)
        .unit(unit)
        .no_value(NOT_KNOWN)
    )


def thresholds(*steps):
    """(from, color) from the lowest; the first is for all below the second."""
    return dashboard.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(
        [model.Threshold(value=value, color=color) for value, color in steps]
    )


def texts(words):
    """Mapping of values: {value: (text, color)}."""
    return model.ValueMap(
        options={
            str(value): model.ValueMappingResult(text=text, color=color, index=index)
            for index, (value, (text, color)) in enumerate(words.items())
        }
    )


# What queries.or_none gives. Mappings of a column replace those of its panel.
NO_NUMBER = model.SpecialValueMap(
    options=model.DashboardSpecialValueMapOptions(
        match=model.SpecialValueMatch.NULL_AND_NAN,
        result=model.ValueMappingResult(text=NOT_KNOWN),
    )
)


def query(expression, name, instant):
    made = prometheus.Dataquery().expr(expression).ref_id(name)
    return made.instant() if instant else made.range()


def number(title, description, expression, unit=units.Short, alarm=None):
    """One number; from ALARM = (from, color) on it is coloured."""
    steps = [(None, "text"), *([alarm] if alarm else [])]
    return (
        start(stat.Panel(), title, description, 4, 3, unit)
        .with_target(query(expression, "A", instant=True))
        .thresholds(thresholds(*steps))
        .color_mode(look.BigValueColorMode.VALUE)
        .graph_mode(look.BigValueGraphMode.NONE)
        .reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]))
    )


def lines(title, description, unit, width, *named, stacked=False, no_value=NOT_KNOWN):
    """Lines over time; NAMED are (expression, legend)."""
    panel = (
        start(timeseries.Panel(), title, description, width, 8, unit)
        .no_value(no_value)
        .min(0)
        .line_width(1)
        .fill_opacity(30 if stacked else 5)
        .show_points(look.VisibilityMode.NEVER)
        .tooltip(
            common.VizTooltipOptions()
            .mode(look.TooltipDisplayMode.MULTI)
            .sort(look.SortOrder.DESCENDING)
        )
        .legend(
            common.VizLegendOptions()
            .show_legend(True)
            .display_mode(look.LegendDisplayMode.LIST)
            .placement(look.LegendPlacement.BOTTOM)
        )
    )
    if stacked:
        panel.stacking(common.StackingConfig().mode(look.StackingMode.NORMAL).group("A"))
    for letter, (expression, legend) in zip("ABCDEF", named):
        panel.with_target(query(expression, letter, instant=False).legend_format(legend))
    return panel


def states(title, description, width, expression, legend, words):
    """A bar over time for each row, in the colours of WORDS (see texts)."""
    return (
        start(statetimeline.Panel(), title, description, width, 8, units.NoUnit)
        .with_target(query(expression, "A", instant=False).legend_format(legend))
        .mappings([texts(words)])
        .color_scheme(dashboard.FieldColor().mode(model.FieldColorModeId.THRESHOLDS))
        .thresholds(thresholds((None, "text")))
        .show_value(look.VisibilityMode.AUTO)
        .row_height(0.8)
        .fill_opacity(70)
        .legend(common.VizLegendOptions().show_legend(False))
    )


# --- tables -------------------------------------------------------------------------------


@dataclass
class Column:
    """A label, or with EXPRESSION a value, which may be unknown. WORDS as in texts."""

    title: str
    label: str = ""
    expression: str = ""
    unit: str = ""
    width: int = 0
    words: dict = field(default_factory=dict)
    links: list = field(default_factory=list)

    def properties(self):
        made = []
        if self.label:
            empty = NOT_KNOWN if self.words else NONE
            made.append(model.DynamicConfigValue("noValue", empty))
        if self.unit:
            made.append(model.DynamicConfigValue("unit", self.unit))
        if self.width:
            made.append(model.DynamicConfigValue("custom.width", self.width))
        if self.words:
            cell = look.TableColoredBackgroundCellOptions(
                mode=look.TableCellBackgroundDisplayMode.BASIC
            )
            made.append(model.DynamicConfigValue("mappings", [texts(self.words), NO_NUMBER]))
            made.append(model.DynamicConfigValue("custom.cellOptions", cell))
        if self.links:
            made.append(model.DynamicConfigValue("links", self.links))
        return made


def table(title, description, width, height, rows, *columns, sort):
    """ROWS is a query that has all labels and one row for each of the table's; its value is
    not shown. Each column's query has the same rows with fewer labels, by which they merge; so
    nothing else may be left that the answers share, such as their time. SORT has titles, with
    a "-" before those that begin with the greatest."""
    panel = start(table_builder.Panel(), title, description, width, height, units.NoUnit)
    panel.mappings([NO_NUMBER]).no_value(NO_ROW).with_target(instant_table(rows, "A"))
    renamed, order = {}, {}
    letters = iter("BCDEFGHIJ")
    for position, column in enumerate(columns):
        name = column.label
        if column.expression:
            letter = next(letters)
            name = f"Value #{letter}"
            panel.with_target(instant_table(column.expression, letter))
        renamed[name], order[name] = column.title, position
        if properties := column.properties():
            panel.override_by_name(column.title, properties)
    shown = {"include": {"names": list(renamed)}}
    organized = {"renameByName": renamed, "indexByName": order, "excludeByName": {}}
    for step, options in (
        ("filterFieldsByName", shown), ("merge", {}), ("organize", organized),
    ):
        panel.with_transformation(model.DataTransformerConfig(id_val=step, options=options))
    return panel.filterable(True).sort_by(
        [
            common.TableSortByFieldState()
            .display_name(name.removeprefix("-"))
            .desc(name.startswith("-"))
            for name in sort
        ]
    )


def instant_table(expression, name):
    return query(expression, name, instant=True).format(PromQueryFormat.TABLE)
