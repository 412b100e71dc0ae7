// The only file that names ECharts. Draws series over time; colours come from the CSS variables of the page.
import { BarChart, LineChart } from 'echarts/charts';
import { GridComponent, TooltipComponent } from 'echarts/components';
import { init, use } from 'echarts/core';
import { CanvasRenderer } from 'echarts/renderers';
import { brief, count } from '../lib/format';
import { full, tick, zone } from '../lib/time.svelte';
import { SERIES_MAX, type TimeChart } from './chart';

use([BarChart, LineChart, GridComponent, TooltipComponent, CanvasRenderer]);

export interface Drawing { show(chart: TimeChart): void; resize(): void; dispose(): void }

const css = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const seriesColour = (i: number) => `--s${(i % SERIES_MAX) + 1}`;

/** The tooltip as elements, never as HTML text: names come from the data, and the CSP forbids inline styles. */
function tip(chart: TimeChart, at: number): HTMLElement {
  const box = document.createElement('div');
  const title = box.appendChild(document.createElement('b'));
  title.textContent = full(at).slice(0, 19);
  chart.series.forEach(({ name, points }, i) => {
    const value = points.find(([time]) => time === at)?.[1];
    if (!value) return;
    const line = box.appendChild(document.createElement('div'));
    const dot = line.appendChild(document.createElement('span'));
    dot.textContent = '■ ';
    dot.style.color = css(seriesColour(i));
    line.append(`${name}  ${count(value)}`);
  });
  return box;
}

export function draw(box: HTMLElement, onzoom: (from: number, to: number) => void): Drawing {
  const drawn = init(box, null, { renderer: 'canvas' });
  let step = 60_000;
  drawn.on('click', (event) => {
    const at = Array.isArray(event.value) ? Number(event.value[0]) : NaN;
    if (Number.isFinite(at)) onzoom(at, at + step);
  });
  return {
    resize: () => drawn.resize(),
    dispose: () => drawn.dispose(),
    show(chart) {
      step = chart.step;
      const ink = { color: css('--muted'), fontSize: 11, fontFamily: css('--sans') };
      const times = chart.series.flatMap(({ points }) => points.map(([at]) => at));
      const from = chart.from ?? Math.min(...times);
      const to = chart.to ?? Math.max(...times) + chart.step;
      const widest = Math.max(1, ((box.clientWidth - 50) / Math.max(1, (to - from) / chart.step)) * 0.8);
      drawn.setOption({
        animation: false, useUTC: zone.value === 'UTC',
        grid: { left: 38, right: 8, top: 8, bottom: 20 },
        tooltip: {
          trigger: 'axis', axisPointer: { type: 'line', lineStyle: { color: css('--line-strong') } }, confine: true, padding: 6,
          backgroundColor: css('--panel'), borderColor: css('--line-strong'), textStyle: { color: css('--text'), fontSize: 12 },
          formatter: (items: unknown) => tip(chart, Number((items as { axisValue: number }[])[0]?.axisValue)),
        },
        xAxis: {
          type: 'time', min: from, max: to, splitNumber: Math.max(2, Math.round(box.clientWidth / 110)),
          axisLine: { lineStyle: { color: css('--line-strong') } }, axisTick: { show: false },
          axisLabel: { ...ink, hideOverlap: true, formatter: (at: number) => tick(at, chart.step) },
        },
        yAxis: { type: 'value', splitNumber: 2, axisLabel: { ...ink, formatter: brief }, splitLine: { lineStyle: { color: css('--line'), type: 'dashed' } } },
        series: chart.series.map(({ name, points }, i) => ({
          name, type: chart.kind, data: points, stack: chart.stacked ? 'all' : undefined, color: css(seriesColour(i)),
          barWidth: chart.kind === 'bar' && chart.stacked ? Math.min(24, widest) : undefined, showSymbol: points.length < 60, symbolSize: 5, emphasis: { disabled: true },
        })),
      }, { notMerge: true });
    },
  };
}
