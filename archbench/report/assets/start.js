// Everything begins here, once the page is read.

const data = JSON.parse(byId("data").textContent);

startTheme();
startDetail();
if (data.groups.length) startChart(data);
startTables((place) => openDetail(data, place));
document.documentElement.dataset.ready = "yes";
