// Everything begins here, once the page is read.

const data = JSON.parse(byId("data").textContent);

startTheme();
startDetail();
if (data.groups.length) startChart(data);
startTables((place) => openDetail(data, place));
requestAnimationFrame(() => requestAnimationFrame(() => {
  performance.mark("ready"); // drawn, and all that is clicked answers
  document.documentElement.dataset.ready = "yes";
}));
