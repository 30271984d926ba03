"""An entry of the table as QGIS sees it: fields, a run of the command, results that are loaded."""

from __future__ import annotations

import html
from collections.abc import Callable
from pathlib import Path
from typing import Any

from qgis.core import (
    QgsProcessingAlgorithm,
    QgsProcessingContext,
    QgsProcessingException,
    QgsProcessingFeedback,
    QgsProcessingOutputFile,
    QgsProcessingOutputNumber,
    QgsProcessingOutputRasterLayer,
    QgsProcessingOutputString,
    QgsProcessingUtils,
)

from .algorithms import Algorithm, Parameter
from .command import CommandError, Line, check_version, run_command
from .command_words import in_columns, shown, words_for
from .fields import bounds_of, field, find_source, find_sources
from .layer_sources import SourceError
from .layer_styles import StyleOnLoading
from .told_numbers import numbers_in

_LAYERS = ("raster", "vector")
_FILES = ("page", "html", "json", "csv", "run")
_READ = ("date", "map", "points", "mask", "polygons")
_WHOLE = ("mask", "polygons")  # of a file of shapes the command reads every layer


class CommandAlgorithm(QgsProcessingAlgorithm):
    """One command of hsi-cd in the toolbox."""

    def __init__(self, algorithm: Algorithm, command: Callable[[], tuple[str, str]]) -> None:
        """Args: the entry, and what tells the command that is run and its least version."""
        super().__init__()
        self._algorithm, self._command = algorithm, command
        self._sources: dict[str, Any] = {}
        self._fault = ""

    def createInstance(self) -> CommandAlgorithm:
        """Another of the kind."""
        return CommandAlgorithm(self._algorithm, self._command)

    def name(self) -> str:
        """In scripts: the command."""
        return self._algorithm.command

    def displayName(self) -> str:
        """In the toolbox."""
        return self._algorithm.title

    def group(self) -> str:
        """In the toolbox."""
        return self._algorithm.group

    def groupId(self) -> str:
        """In scripts."""
        return self._algorithm.group.lower()

    def shortHelpString(self) -> str:
        """Beside the fields."""
        command = f"hsi-cd {self._algorithm.command}"
        return (
            f"{self._algorithm.about}\n\nThe log shows the command that is run; {command} --help has all options."
        )

    def initAlgorithm(self, configuration: dict[str, Any] | None = None) -> None:
        """Enter fields and outputs."""
        stood_for = self._algorithm.stand_ins().values()
        for parameter in self._algorithm.parameters:
            self.addParameter(field(parameter, stood_for=parameter.name in stood_for))
        if self._algorithm.of_kind("page"):
            self.addOutput(QgsProcessingOutputString("TEXT", "What was said"))
        for name, title, _ in self._algorithm.numbers:
            self.addOutput(QgsProcessingOutputNumber(name, title))
        for name, _, title in self._algorithm.leaves:
            self.addOutput(QgsProcessingOutputRasterLayer(name, title))
        if self._algorithm.leaves:
            self.addOutput(QgsProcessingOutputFile("CHECKPOINT", "Model"))

    def checkParameterValues(self, parameters: dict[str, Any], context: QgsProcessingContext) -> Any:
        """QGIS's own check, but for what is read: it may be a product that QGIS itself cannot open."""
        read = {each.name for each in self._algorithm.of_kind("labels", *_READ)}
        for each in self.parameterDefinitions():
            fits = each.name() in read or each.checkValueIsAcceptable(parameters.get(each.name()), context)
            if not fits:
                return False, f"{each.description()}: {parameters.get(each.name())!r} does not fit; choose another"
        return True, ""

    def validateInputCrs(self, parameters: dict[str, Any], context: QgsProcessingContext) -> bool:
        """The command knows what may lie on another grid, and says so."""
        return True

    def prepareAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> bool:
        """Find the files behind layers, where QGIS lets layers be asked; what is wrong is told by the run.

        QGIS would keep the words of an error that is raised here to itself.
        """
        try:
            for each in self._algorithm.parameters:
                value = parameters.get(each.name)
                if each.kind == "labels":
                    self._sources[each.name] = find_sources(value, each.title, context, feedback)
                elif each.kind in _READ:
                    alone = each.kind in _WHOLE
                    self._sources[each.name] = find_source(value, each.title, context, feedback, alone=alone)
        except SourceError as error:
            self._fault = str(error)
        return True

    def processAlgorithm(
        self, parameters: dict[str, Any], context: QgsProcessingContext, feedback: QgsProcessingFeedback
    ) -> dict[str, Any]:
        """Run the command."""
        if self._fault:
            raise QgsProcessingException(self._fault)
        values = {each.name: self._value(each, parameters, context) for each in self._algorithm.parameters}
        unasked = ""
        if "JSON" in values and not values["JSON"]:
            unasked = values["JSON"] = QgsProcessingUtils.generateTempFilename("numbers.json")
        before = set(context.layersToLoadOnCompletion())
        layers = {
            each.name: self.parameterAsOutputLayer(parameters, each.name, context)
            for each in self._algorithm.of_kind(*_LAYERS)
            if parameters.get(each.name) is not None
        }
        try:
            said = self._run(values | layers, feedback)
        except (CommandError, SourceError) as error:
            loading = context.layersToLoadOnCompletion()  # what lies there is not this run's
            context.setLayersToLoadOnCompletion({name: loading[name] for name in loading if name in before})
            raise QgsProcessingException(str(error)) from error
        if unasked:
            said = "\n".join(line for line in said.splitlines() if unasked not in line).rstrip() + "\n"
        results = layers | {each.name: values[each.name] for each in self._algorithm.of_kind(*_FILES)}
        return self._results({name: value for name, value in results.items() if value}, said, context)

    def _value(self, parameter: Parameter, parameters: dict[str, Any], context: QgsProcessingContext) -> Any:
        """What a field holds, as words_for takes it."""
        if parameter.name in self._sources:
            return self._sources[parameter.name]
        name = parameter.name
        if parameter.kind in _FILES:
            return self.parameterAsFileOutput(parameters, name, context)
        if parameter.kind == "extent":
            crs = self.parameterAsExtentCrs(parameters, name, context)
            return bounds_of(self.parameterAsExtent(parameters, name, context), crs)
        if parameter.kind == "switch":
            return self.parameterAsBool(parameters, name, context)
        if parameter.kind == "choice":
            return self.parameterAsEnumString(parameters, name, context)
        if parameter.kind in ("number", "whole"):
            given = parameters.get(name, parameter.default)
            return None if given is None else self.parameterAsDouble(parameters, name, context)
        return self.parameterAsString(parameters, name, context)

    def _run(self, values: dict[str, Any], feedback: QgsProcessingFeedback) -> str:
        words = words_for(self._algorithm, values)
        command, least = self._command()
        check_version(command, least, is_cancelled=feedback.isCanceled)
        feedback.pushCommandInfo(shown([command, *words]))

        def tell(line: Line) -> None:
            if line.kind == "progress":
                feedback.setProgressText(line.text)
                feedback.setProgress(-1 if line.share is None else 100 * line.share)
            elif line.kind == "warning":
                feedback.pushWarning(line.text)
            else:
                feedback.pushConsoleInfo(line.text)

        said = run_command([command, *words], tell=tell, is_cancelled=feedback.isCanceled)
        feedback.pushConsoleInfo(in_columns(said))
        return said

    def _results(self, results: dict[str, Any], said: str, context: QgsProcessingContext) -> dict[str, Any]:
        """The outputs; layers are loaded with their style where QGIS was asked to load them."""
        for parameter in self._algorithm.of_kind("page"):
            results["TEXT"] = said
            if parameter.name in results:
                page = f"<!DOCTYPE html>\n<meta charset='utf-8'>\n<pre>{html.escape(said)}</pre>\n"
                Path(results[parameter.name]).write_text(page, encoding="utf-8")
        if self._algorithm.numbers:
            told = Path(results["JSON"]).read_text(encoding="utf-8") if "JSON" in results else said
            results |= numbers_in(told, self._algorithm.numbers)
        for name, file, title in self._algorithm.leaves:
            results[name] = str(Path(results["RUN"]) / file)
            details = QgsProcessingContext.LayerDetails(
                title, context.project(), name, QgsProcessingUtils.LayerHint.Raster
            )
            context.addLayerToLoadOnCompletion(results[name], details)
        if self._algorithm.leaves:
            results["CHECKPOINT"] = str(Path(results["RUN"]) / "best.pt")
        shown = [*self._algorithm.of_kind("vector"), *self._algorithm.of_kind("raster")]
        order = [*(each.name for each in shown), *(name for name, _, _ in self._algorithm.leaves)]
        loaded: dict[str, int] = {}
        for place, name in enumerate(order):
            if name in results and context.willLoadLayerOnCompletion(results[name]):
                details = context.layerToLoadOnCompletionDetails(results[name])
                details.setPostProcessor(StyleOnLoading.create(place, loaded))
        return results
